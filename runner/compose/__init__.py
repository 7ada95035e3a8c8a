"""From words on the command line and YAML files to a checked configuration, by Hydra."""
