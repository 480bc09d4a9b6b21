"""What the audits of several kinds share: comparing what each of them reads in its own way."""
