"""What components promised each other, compared with what they do."""
