"""trio tasks that make a pure core run.

``contract``  the grammar every core offers
``session``   one core, its endpoints, and three kinds of task: reader, timer, writer
``mux``       many cores on one endpoint, told apart by who sent
"""
