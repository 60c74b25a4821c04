"""MPEG transport streams, as far as those who carry them need to look inside (ISO/IEC 13818-1).

============  ================================================================================
`packet`      the header of a 188-byte packet, null packets, the clock reference
`alignment`   a stream of bytes into aligned packets, and those into payloads of 1316 bytes
`pcr`         the programme clock: reading it, and pacing a file by it
`psi`         PAT and PMT, which say what a stream is made of
`generator`   a valid stream of any constant bit rate, made from a seed
`verifier`    what became of such a stream on its way
============  ================================================================================
"""
