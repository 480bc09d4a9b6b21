"""What somebody does with a MySQL or MariaDB database by hand."""
