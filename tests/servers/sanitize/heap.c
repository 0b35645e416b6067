/* heap.c -- see heap.h */
#include "tests/servers/sanitize/heap.h"

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef atexit
#undef main
#undef vsnprintf

void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t count, size_t size);
void *__interceptor_realloc(void *old, size_t size);
void __interceptor_free(void *p);
void *__interceptor_memcpy(void *to, const void *from, size_t size);
void *__interceptor_memmove(void *to, const void *from, size_t size);
void *__interceptor_memset(void *to, int byte, size_t size);
int __interceptor_memcmp(const void *a, const void *b, size_t size);
int __interceptor_vsnprintf(char *out, size_t size, const char *format,
                            __builtin_va_list args);

void *__cdecl heap_malloc(size_t size)
{
    return __interceptor_malloc(size);
}

void *__cdecl heap_calloc(size_t count, size_t size)
{
    return __interceptor_calloc(count, size);
}

void *__cdecl heap_realloc(void *old, size_t size)
{
    return __interceptor_realloc(old, size);
}

void __cdecl heap_free(void *p)
{
    __interceptor_free(p);
}

void *heap_memcpy(void *to, const void *from, size_t size)
{
    return __interceptor_memcpy(to, from, size);
}

void *heap_memmove(void *to, const void *from, size_t size)
{
    return __interceptor_memmove(to, from, size);
}

void *heap_memset(void *to, int byte, size_t size)
{
    return __interceptor_memset(to, byte, size);
}

int heap_memcmp(const void *a, const void *b, size_t size)
{
    return __interceptor_memcmp(a, b, size);
}

int heap_vsnprintf(char *out, size_t size, const char *format,
                   __builtin_va_list args)
{
    return __interceptor_vsnprintf(out, size, format, args);
}

static void (*registered)(void);

static void __cdecl call_registered(void)
{
    registered();
}

int heap_atexit(void (*at_exit)(void))
{
    if (registered != NULL)
        return -1; /* room for one; our programs register one */
    registered = at_exit;
    return atexit(call_registered);
}

int heap_main(int argc, char **argv);

int __cdecl main(int argc, char **argv)
{
    return heap_main(argc, argv);
}
