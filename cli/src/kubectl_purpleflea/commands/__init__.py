"""The command line, one module per command. `application` imports a module only when its command runs."""
