"""The rules of a group: several connections that carry one stream.

``clock``       one time for all members, whatever their ways
``reception``   the packets of all members, each once and in order
``links``       backup: which member sends, and when another takes over
``replay``      what nobody has acknowledged yet, for the member that takes over
``group``       all of it together
"""
