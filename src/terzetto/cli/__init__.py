"""The ``terzetto`` command: parsing and printing; what the commands do lives in the rooms below.

``app``     the table of commands
``demo``    see a stream survive a bad network, on this machine
``impair``  a UDP proxy that treats what passes as a bad network would
"""
