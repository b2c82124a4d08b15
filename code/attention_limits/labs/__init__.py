"""Labs run the real thing on the reader's own device; one file a topic, one function a lab."""
