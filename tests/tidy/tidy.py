#!/usr/bin/env python3
"""tidy - the rules of the house that a compiler does not know, as a test.

    tidy.py TREE [BUILD]     checks the sources in TREE, and with BUILD what was linked there
    tidy.py --self-test      breaks each rule once in a tree made for it, and sees that it is found

Each rule is a function that yields (file, line, what). ARCHITECTURE.md says who may use whom; CONTRIBUTING.md says how the code reads.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600

# What glibc and the kernel bring. Any other <header> is somebody else's library.
SYSTEM_HEADERS = set(
    """assert.h ctype.h errno.h fcntl.h fenv.h float.h inttypes.h limits.h locale.h math.h poll.h pthread.h sched.h semaphore.h setjmp.h signal.h
    stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h threads.h time.h unistd.h wchar.h
    dirent.h dlfcn.h endian.h execinfo.h fnmatch.h getopt.h glob.h ifaddrs.h malloc.h netdb.h regex.h spawn.h syslog.h termios.h ucontext.h
    arpa/inet.h net/if.h netinet/in.h netinet/tcp.h immintrin.h x86intrin.h cpuid.h""".split()
)
SYSTEM_FOLDERS = ("sys/", "linux/", "asm/")

# Who may have third-party headers, and the one file that may besides: the digest by OpenSSL.
THIRD_PARTY_FOLDERS = ("io/", "bench/", "tests/", "tools/")
THIRD_PARTY_FILES = {"core/digest.c": ("openssl/",)}

# What each folder may include of ours. The longest prefix that fits a file counts.
MAY_INCLUDE = {
    "core/": ("core/",),
    "schemas/": ("core/", "schemas/"),
    "io/": ("core/", "io/", "schemas/"),
    "commands/": ("core/", "schemas/", "io/", "commands/"),
    "projections/": ("core/", "schemas/", "io/", "projections/"),
    "query-api/": ("core/", "schemas/", "io/", "query-api/"),
    "commands/decider.h": ("core/", "schemas/", "commands/decider.h"),
    "commands/owner/": ("core/", "schemas/", "commands/owner/", "commands/decider.h"),
    "commands/trip/": ("core/", "schemas/", "commands/trip/", "commands/decider.h"),
}

BANNED_CALLS = {
    "strcpy": "has no limit",
    "strcat": "has no limit",
    "sprintf": "has no limit; snprintf",
    "vsprintf": "has no limit; vsnprintf",
    "gets": "has no limit",
    "strtok": "keeps a state of its own; bt_str",
    "gmtime": "keeps a state of its own; gmtime_r",
    "localtime": "keeps a state of its own; localtime_r",
    "ctime": "keeps a state of its own",
    "asctime": "keeps a state of its own",
    "rand": "is no randomness",
    "srand": "is no randomness",
    "alloca": "has no limit",
    "system": "runs a shell",
}
ALLOCATIONS = ("malloc", "calloc", "realloc", "free", "strdup", "strndup", "reallocarray")
ALLOCATION_FILE = "core/memory.c"
# Where a sanitizer watches every run, an unlimited copy into a buffer of the test's own is a matter of taste.
WATCHED_FOLDERS = ("tests/", "bench/")
# A library hands out memory that is given back by free.
FREE_FOLDERS = ("io/", "tools/", "bench/")
CLOCK_FOLDERS = ("io/", "tests/", "bench/", "tools/")

# What the pure archives may ask of libc. Nothing here reads a clock, a file or a socket, or makes a thread.
PURE_ARCHIVES = ("libberth_owner.a", "libberth_trip.a", "libberth_commands_trip.a", "libberth_schemas.a", "libberth_core.a")
PURE_SYMBOLS = re.compile(
    r"^(mem(cpy|move|set|cmp|chr|mem)|str(len|nlen|cmp|ncmp|chr|rchr|tod|toll|toull|toul|tol)|v?snprintf|qsort|bsearch|abs|labs|llabs"
    r"|f?(floor|ceil|trunc|round|llround|isnan|isinf|min|max)f?|nearbyint|ldexp|frexp|isfinite|signbit"
    r"|abort|__assert_fail|__errno_location|__stack_chk_fail|__(mem|str|v?snprintf|isoc99_)\w*_chk|__(asan|ubsan|tsan|lsan|sanitizer)_\w+|_GLOBAL_OFFSET_TABLE_"
    r"|__start_asan_globals|__stop_asan_globals|__isoc23_strto\w+|__ctype_b_loc|__popcountdi2|fmodf?|pow10?|exp10)$"
)
# core alone keeps memory, says why it dies, and hashes.
CORE_SYMBOLS = re.compile(r"^(malloc|calloc|realloc|free|aligned_alloc|stderr|f(write|printf|puts|putc|flush)|vfprintf|_?exit|SHA256\w*|strerror(_r)?|__xpg_strerror_r|__v?fprintf_chk|mmap|munmap|madvise)$")


class Tree:
    """The C sources of a tree, read once, with comments and strings blanked in a second copy."""

    def __init__(self, top):
        self.top = pathlib.Path(top)
        self.files = {}
        for path in sorted(self.top.rglob("*.[ch]")):
            name = path.relative_to(self.top).as_posix()
            if not name.startswith(("build", ".")) and "/fixtures/" not in name:
                self.files[name] = path.read_text()
        self.code = {name: blank(text) for name, text in self.files.items()}


def blank(text):
    """Comments, strings and characters become blanks, so that a rule sees code only; lines stay where they are."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def includes(tree):
    for name, text in tree.files.items():
        for found in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', text, re.M):
            yield name, line_of(text, found.start()), found.group(1), found.group(2)


def rule_third_party_headers_stay_under_io(tree):
    for name, line, kind, header in includes(tree):
        ours = header in tree.files or header.startswith(("core/", "io/", "commands/", "projections/", "query-api/", "schemas/", "tools/", "tests/"))
        if (kind == '"' and (ours or "/" not in header)) or header in SYSTEM_HEADERS or header.startswith(SYSTEM_FOLDERS):
            continue
        if not name.startswith(THIRD_PARTY_FOLDERS) and not header.startswith(THIRD_PARTY_FILES.get(name, ("\0",))):
            yield name, line, f"<{header}> is a third party's; only io/ may include it"


def rule_one_library_a_folder_under_io(tree):
    homes = {
        "librdkafka/": "io/kafka/", "libpq-fe.h": "io/pg/", "postgresql/": "io/pg/", "hiredis/": "io/redis/", "jansson.h": "io/json/",
        "openssl/": "io/tls/", "civetweb.h": "io/http/", "event2/": "io/http/", "curl/": "io/http/",
    }  # fmt: skip
    for name, line, _, header in includes(tree):
        for library, home in homes.items():
            if header.startswith(library) and name.startswith("io/") and not name.startswith(home):
                yield name, line, f"<{header}> lives in {home}"


def rule_folders_include_only_whom_they_may(tree):
    for name, line, _, header in includes(tree):
        if not header.startswith(("core/", "io/", "commands/", "projections/", "query-api/", "schemas/", "tools/", "tests/", "bench/")):
            continue
        prefixes = [prefix for prefix in MAY_INCLUDE if name.startswith(prefix)]
        if prefixes and not header.startswith(MAY_INCLUDE[max(prefixes, key=len)]):
            yield name, line, f'"{header}" is not for {max(prefixes, key=len)}'


def rule_banned_calls(tree):
    banned = re.compile(r"(?<![\w.>])(" + "|".join([*BANNED_CALLS, *ALLOCATIONS]) + r")[ \t]*\(")
    for name, code in tree.code.items():
        for found in banned.finditer(code):
            call = found.group(1)
            if call in ALLOCATIONS and (name == ALLOCATION_FILE or name.startswith("tests/") or (call == "free" and name.startswith(FREE_FOLDERS))):
                continue
            if name.startswith(WATCHED_FOLDERS) and BANNED_CALLS.get(call, "").startswith("has no limit"):
                continue
            yield name, line_of(code, found.start()), f"{call}: " + BANNED_CALLS.get(call, f"memory is taken by {ALLOCATION_FILE} alone; bt_alloc, an arena")


def rule_clocks_are_read_under_io(tree):
    clock = re.compile(r"(?<![\w.>])(time[ \t]*\([ \t]*(NULL|0)[ \t]*\)|clock_gettime[ \t]*\(|gettimeofday[ \t]*\()")
    for name, code in tree.code.items():
        if not name.startswith(CLOCK_FOLDERS):
            for found in clock.finditer(code):
                yield name, line_of(code, found.start()), f"{found.group(1)}: the time comes from io/clock, and to a decider inside the command"


def rule_files_open_with_their_reason_to_exist(tree):
    for name, text in tree.files.items():
        opening = re.match(r"/\*.*?\*/", text, re.S)
        if not opening or len(opening.group()) < 24:
            yield name, 1, "a file opens with a comment: what it promises, to whom, and what would break without it"


def rule_files_are_short(tree):
    for name, text in tree.files.items():
        if (lines := text.count("\n")) > FILE_LINES_MAX:
            yield name, lines, f"{lines} lines; at most {FILE_LINES_MAX}"


def rule_functions_are_short(tree):
    # The house puts a function's braces in the first column, so its body is what stands between them.
    for name, code in tree.code.items():
        start = None
        for number, line in enumerate(code.split("\n"), 1):
            if line == "{":
                start = number
            elif line.rstrip() == "}" and start:
                if number - start - 1 > FUNCTION_LINES_MAX:
                    yield name, start, f"a function of {number - start - 1} lines; at most {FUNCTION_LINES_MAX}"
                start = None


def rule_schemas_have_docs_and_golden_bytes(tree):
    golden = tree.top / "tests/golden/events.tsv"
    known = golden.read_text() if golden.exists() else ""
    for path in sorted((tree.top / "schemas").rglob("*.avsc")):
        name, text = path.relative_to(tree.top).as_posix(), path.read_text()
        if "/past/" in name or "/frozen/" in name:
            continue
        if not re.search(r'^\s*\{[^{[]*"doc"\s*:\s*"[^"]{10}', text, re.S):
            yield name, 1, "a schema says in its doc what it means"
        if "/events/" in name and known and not re.search(r"\t\S*\b" + re.escape(path.stem) + r"[ \t]", known):
            yield name, 1, f"no golden bytes in {golden.relative_to(tree.top).as_posix()}; build the target golden"


def rule_documents_that_are_named_exist(tree):
    """A reader can follow each reference: docs/x.md is there, or docs/decisions/0001 begins the name of one that is."""
    for name, text in tree.files.items():
        for found in re.finditer(r"\bdocs/[\w/-]+(?:\.\w+)?", text):
            folder, _, begin = found.group().rpartition("/")
            if not any((tree.top / folder).glob(begin + "*")):
                yield name, line_of(text, found.start()), f"there is no {found.group()}"
        for found in re.finditer(r"\b(?:DESIGN|FACTS)(?: section|:)", text):
            yield name, line_of(text, found.start()), "names a document that is not in the repository: docs/protocol.md, or say it here"


def rule_reads_cannot_write(build):
    """berth-query-api links no producer."""
    for binary in build.rglob("bin/berth-query-api"):
        linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
        if "librdkafka" in linked:
            yield str(binary), 0, "links librdkafka: the query API must not be able to write"


def rule_pure_archives_ask_for_nothing_impure(build):
    defined = set()
    archives = [path for path in build.rglob("*.a") if path.name in PURE_ARCHIVES]
    for path in archives:
        defined |= {line.split()[-1] for line in nm(path, "--defined-only")}
    for path in archives:
        for symbol in sorted({line.split()[-1] for line in nm(path, "--undefined-only")} - defined):
            if not PURE_SYMBOLS.match(symbol) and not (path.name == "libberth_core.a" and CORE_SYMBOLS.match(symbol)):
                yield path.name, 0, f"needs {symbol}: what decides sees only its arguments"


def nm(archive, option):
    done = subprocess.run(["nm", "-P", option, archive], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines() if line and not line.endswith(":")]


SOURCE_RULES = [rule for name, rule in globals().items() if name.startswith("rule_") and name not in ("rule_reads_cannot_write", "rule_pure_archives_ask_for_nothing_impure")]
BUILD_RULES = [rule_reads_cannot_write, rule_pure_archives_ask_for_nothing_impure]


def check(top, build=None):
    tree = Tree(top)
    found = [(rule, *complaint) for rule in SOURCE_RULES for complaint in rule(tree)]
    if build:
        found += [(rule, *complaint) for rule in BUILD_RULES for complaint in rule(pathlib.Path(build))]
    return found


ESSAY = "/* made - a file that opens as it should, for a test of the tests. */\n"
BREAKS = {
    "rule_third_party_headers_stay_under_io": ("core/x.c", ESSAY + "#include <jansson.h>\n"),
    "rule_one_library_a_folder_under_io": ("io/http/x.c", ESSAY + "#include <librdkafka/rdkafka.h>\n"),
    "rule_folders_include_only_whom_they_may": ("query-api/x.c", ESSAY + '#include "commands/decider.h"\n'),
    "rule_banned_calls": ("core/x.c", ESSAY + "void f(char *a)\n{\n    free(strcpy(a, a));\n}\n"),
    "rule_clocks_are_read_under_io": ("commands/x.c", ESSAY + "long f(void)\n{\n    return time(NULL);\n}\n"),
    "rule_files_open_with_their_reason_to_exist": ("io/x.h", "#include <stdio.h>\n"),
    "rule_files_are_short": ("io/x.c", ESSAY + "int a;\n" * 601),
    "rule_functions_are_short": ("io/x.c", ESSAY + "void f(void)\n{\n" + "    g();\n" * 71 + "}\n"),
    "rule_documents_that_are_named_exist": ("io/x.c", ESSAY + "/* docs/decisions/9999 says why. */\n"),
    "rule_schemas_have_docs_and_golden_bytes": ("schemas/trip/events/X.avsc", '{"type": "record", "name": "X", "fields": []}\n'),
}
HARMLESS = {
    "core/y.c": ESSAY + '#include <stdio.h>\n/* strcpy(a, b) */\nconst char *f(void)\n{\n    return "free(x) time(NULL)";\n}\n',
    "tests/golden/events.tsv": "1\tberth.trip.Y 1\t00\t{}\n",
    "schemas/trip/events/Y.avsc": '{"type": "record", "name": "Y", "doc": "What happened to it.", "fields": []}\n',
}


def self_test():
    failures = 0
    for rule in SOURCE_RULES:
        for broken in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                files = dict(HARMLESS, **({BREAKS[rule.__name__][0]: BREAKS[rule.__name__][1]} if broken else {}))
                for name, text in files.items():
                    path = pathlib.Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text)
                found = [complaint for complaint in check(folder) if complaint[0] is rule]
            if bool(found) != broken:
                failures += 1
                print(f"{rule.__name__}: {'does not find its break' if broken else f'complains of nothing: {found}'}")
    failures += self_test_of_builds()
    print(f"{len(SOURCE_RULES) + len(BUILD_RULES)} rules, {failures} wrong")
    return failures == 0


def self_test_of_builds():
    """A decider that reads the clock, and a query API that is linked against librdkafka."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        top = pathlib.Path(folder)
        (top / "impure.c").write_text("#include <time.h>\nlong decide(void) { return time(0); }\n")
        (top / "reader.c").write_text("const char *rd_kafka_version_str(void);\nint main(void) { return !rd_kafka_version_str(); }\n")
        (top / "bin").mkdir()
        subprocess.run(["cc", "-c", "impure.c"], cwd=top, check=True)
        subprocess.run(["ar", "rc", "libberth_trip.a", "impure.o"], cwd=top, check=True)
        subprocess.run(["cc", "reader.c", "-o", "bin/berth-query-api", "-lrdkafka"], cwd=top, check=True)
        for rule in BUILD_RULES:
            if len(list(rule(top))) != 1:
                failures += 1
                print(f"{rule.__name__}: does not find its break: {list(rule(top))}")
    return failures


def main(arguments):
    if arguments == ["--self-test"]:
        return 0 if self_test() else 1
    if len(arguments) not in (1, 2):
        print(__doc__)
        return 2
    found = check(*arguments)
    for rule, name, line, what in found:
        print(f"{name}:{line}: {what}   [{rule.__name__.removeprefix('rule_')}]")
    print(f"{len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
