//! One message out, one message in: binary TTLV of KMIP 2.1, the most compact spelling.
