/* A clock on the wall that jumps: what clock_gettime(2) gives for CLOCK_REALTIME is moved by as many seconds as the file
 * named by WALL_CLOCK says. Preloaded into the program under test; time that only goes forward is left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *name = getenv("WALL_CLOCK");
    if (result == 0 && clock == CLOCK_REALTIME && name) {
        char text[32] = "";
        int file = open(name, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            if (read(file, text, sizeof text - 1) > 0)
                now->tv_sec += atol(text);
            close(file);
        }
    }
    return result;
}
