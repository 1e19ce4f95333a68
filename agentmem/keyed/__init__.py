"""Records: JSON values under a namespace and a key, whose text is a note like any other."""
