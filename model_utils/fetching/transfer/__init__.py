"""Files by address into a folder: asked politely, checked, gone on with where a run was cut off."""
