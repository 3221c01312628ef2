"""For teachers: a class's progress, an answer key, slides, a server for a class. No lab needs any of it."""
