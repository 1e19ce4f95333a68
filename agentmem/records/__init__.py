"""What is kept beside the notes, area by area, above the plain tables of any store."""
