"""Pure: the definitions as a Terraform module. Every choice of the parameters is a variable of the module."""
