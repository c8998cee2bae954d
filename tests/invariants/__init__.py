"""What must be impossible: look-ahead, a test label where something is fitted, a stage that hides what it reads."""
