"""Session descriptions (RFC 4566), parsed leniently and printed back byte for byte."""
