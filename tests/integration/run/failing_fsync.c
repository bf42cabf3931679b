/* Makes fsync of one directory fail with EIO while a file is there, and notes in another each time that it succeeds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fsync(int fd)
{
    static int (*real)(int);
    char link[64], path[4096];
    const char *directory = getenv("FSYNC_OF"), *while_there = getenv("FSYNC_FAILS_WHILE"), *note = getenv("FSYNC_NOTE");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    int is_it = length > 0 && (path[length] = 0, strcmp(path, directory) == 0);
    if (is_it && access(while_there, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    if (is_it && result == 0)
        close(open(note, O_CREAT | O_WRONLY, 0600));
    return result;
}
