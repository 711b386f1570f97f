import lit.formats, os
config.name, config.suffixes, config.test_source_root = "octavo", [".8vo"], os.path.dirname(__file__)
config.test_exec_root = lit_config.params["out"]
config.test_format = lit.formats.ShTest(execute_external=False)
config.environment["PATH"] = os.pathsep.join([lit_config.params["bin"], "/usr/lib/llvm-19/bin", os.environ["PATH"]])
config.excludes = ["Inputs"]
# %exits CODE COMMAND: passes the output on, fails unless the exit code is CODE. %pinned FILE: each line whole, blanks and carets too.
config.substitutions += [("%exits", "sh " + os.path.join(config.test_source_root, "Inputs", "exits.sh")),
                         ("%pinned", "FileCheck --strict-whitespace --match-full-lines")]
