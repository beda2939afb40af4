/* The native twin of the agent's "pong": the same loop on the same kind of page, so that only the bridge is between the two figures. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    int file = open(arguments[1], O_RDWR);
    volatile uint8_t *view = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (view == MAP_FAILED)
        return 1;
    volatile uint32_t *ask = (volatile uint32_t *)view, *answer = (volatile uint32_t *)(view + 128);
    uint32_t rounds = (uint32_t)atoi(arguments[2]);
    for (uint32_t round = 1; round <= rounds; round++) {
        while (*ask != round)
            __builtin_ia32_pause();
        *answer = round;
    }
    return 0;
}
