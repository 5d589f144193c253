/* replay - a fuzz target without a fuzzer: runs it once on each file of the folders it is given, so that what was found
 * once stays found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *room = malloc(INPUT_MAX);
    if (file == NULL || room == NULL) {
        perror(path);
        exit(1);
    }
    size_t size = fread(room, 1, INPUT_MAX, file);
    fclose(file);
    uint8_t *exact = malloc(size == 0 ? 1 : size); /* the sanitizer sees a read past its end */
    for (size_t i = 0; i < size; i++)
        exact[i] = room[i];
    free(room);
    int rc = LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return rc;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            count += replay_file(path) == 0;
        }
        closedir(folder);
    }
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
