"""Pure: the definitions as a Terraform module. Every parameter is a variable of the module."""
