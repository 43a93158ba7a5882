"""Transfer sets, and what the teacher says about them: the text on which a student hears its teacher."""
