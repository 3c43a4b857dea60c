"""Checks the folder, where `cookiecutter -f` writes into one that exists.

It does so while cookiecutter renders this file, because when a hook itself fails, cookiecutter
prints a traceback. {{ cookiecutter | check_folder }}
"""
