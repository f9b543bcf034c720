"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): publishing and viewing with one HTTP request."""
