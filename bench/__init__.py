"""A bench that tells the truth: README.md says what is measured, and what it cannot show."""
