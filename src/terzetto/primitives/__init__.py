"""Pure values and small machines that every protocol shares; each file holds one."""
