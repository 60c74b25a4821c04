"""The rules of a group: several connections that carry one stream.

``clock``       one time for all members, whatever their ways
``reception``   the packets of all members, each once and in order
``links``       backup: which member sends, and when another takes over
``replay``      what nobody has acknowledged yet, for the member that takes over
``balancing``   which member carries which packet, and who takes over what a silent one has not delivered
``balanced_reception``  the packets of all members that carry a part each, in order
``group``       all of it together
"""
