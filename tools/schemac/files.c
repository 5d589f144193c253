/* files - whole files in, whole files out, and the one form of a complaint. */
#include "tools/schemac/model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

bool sc_fail(const char *file, const char *path, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s: ", file);
    if (path != NULL)
        fprintf(stderr, "%s: ", path);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

bool sc_file_read(const char *path, bt_arena *arena, bt_str *ret_text)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return sc_fail(path, NULL, "%s", strerror(errno));
    char *at = bt_alloc(SC_FILE_BYTES_MAX + 1);
    size_t size = fread(at, 1, SC_FILE_BYTES_MAX + 1, file);
    bool good = !ferror(file), fits = size <= SC_FILE_BYTES_MAX;
    fclose(file);
    if (good && fits)
        *ret_text = bt_arena_copy(arena, (bt_str){ at, size + 1 }); /* the last byte is the zero behind it */
    bt_release(at);
    if (!good)
        return sc_fail(path, NULL, "cannot be read");
    if (!fits)
        return sc_fail(path, NULL, "larger than %d bytes", SC_FILE_BYTES_MAX);
    ret_text->size = size;
    return true;
}

static bool file_is(const char *path, bt_str text)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    bool same = true;
    for (size_t i = 0; i < text.size && same; i++)
        same = fgetc(file) == (unsigned char)text.at[i];
    same = same && fgetc(file) == EOF;
    fclose(file);
    return same;
}

bool sc_file_write(const char *path, bt_str text)
{
    if (file_is(path, text))
        return true;
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return sc_fail(path, NULL, "%s", strerror(errno));
    bool good = fwrite(text.at, 1, text.size, file) == text.size;
    good = fclose(file) == 0 && good;
    return good || sc_fail(path, NULL, "cannot be written: %s", strerror(errno));
}
