# Writes HEADER with VERSION and what git says of SOURCE; leaves it alone when nothing changed. Outside git, the version stands alone.
#
#   BERTH_VERSION        "0.1.0"
#   BERTH_VERSION_STAMP  "0.1.0 (git 2c96c98)", with -dirty behind the commit when the tree holds what is not committed
# Where there is a build without its git (an image), BERTH_COMMIT in the environment says the commit.
set(commit "$ENV{BERTH_COMMIT}")
set(failed FALSE)
if(NOT commit)
    execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --exclude=* --abbrev=10
        OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
endif()
set(stamp "${VERSION}")
if(NOT failed AND commit)
    set(stamp "${VERSION} (git ${commit})")
endif()
set(text "/* Generated at each build by cmake/version.cmake. */\n#define BERTH_VERSION \"${VERSION}\"\n#define BERTH_VERSION_STAMP \"${stamp}\"\n")
set(previous "")
if(EXISTS "${HEADER}")
    file(READ "${HEADER}" previous)
endif()
if(NOT previous STREQUAL text)
    file(WRITE "${HEADER}" "${text}")
endif()
