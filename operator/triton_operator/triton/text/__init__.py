"""Protobuf text format: tokens, parser and writer for `config.pbtxt`."""
