"""The rules of SRT, as small machines that own neither sockets nor clocks."""
