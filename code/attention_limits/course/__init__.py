"""What a course needs of the book: what is said of a student's answer (``answers``)."""
