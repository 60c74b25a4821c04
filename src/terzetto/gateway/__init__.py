"""What joins endpoints to one another; the only package that knows more than one protocol.

``impairment``  a UDP proxy that treats what passes as a bad network would
"""
