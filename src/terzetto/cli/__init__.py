"""The ``terzetto`` command: parsing and printing; what the commands do lives in the rooms below.

``app``         the table of commands, and how they end
``demo``        see a stream survive a bad network, on this machine
``relay``       one input to many outputs
``impair``      a UDP proxy that treats what passes as a bad network would
``interfaces``  what ``miface=`` may name
``display``     what a running relay says: JSON, lines, or a table
"""
