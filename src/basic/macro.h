/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _sentinel_     __attribute__((sentinel))
#define _unused_       __attribute__((unused))
#define _const_        __attribute__((const))
#define _public_       __attribute__((visibility("default")))
#define _pure_         __attribute__((pure))

#define ELEMENTSOF(x)      (sizeof(x) / sizeof((x)[0]))
#define MAX(a, b)          ((a) > (b) ? (a) : (b))
#define MIN(a, b)          ((a) < (b) ? (a) : (b))
#define STRINGIFY_INNER(x) #x
#define STRINGIFY(x)       STRINGIFY_INNER(x)

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_SEC  UINT64_C(1000000000)
#define USEC_INFINITY UINT64_MAX

#define UID_INVALID ((uid_t) -1)

/* Hands a resource on to the caller: the variable is emptied, so its cleanup does nothing. */
#define TAKE_GENERIC(var, type, nullvalue) \
        ({                                 \
                type *_p = &(var);         \
                type _v = *_p;             \
                *_p = (nullvalue);         \
                _v;                        \
        })
#define TAKE_PTR(ptr) TAKE_GENERIC(ptr, __typeof__(ptr), NULL)
#define TAKE_FD(fd)   TAKE_GENERIC(fd, int, -EBADF)

/* Declares NAME_cleanup(), for _cleanup_(), of a function that frees what a pointer of this type points to. */
#define DEFINE_CLEANUP(type, func)                 \
        static inline void func##_cleanup(type *p) \
        {                                          \
                if (*p)                            \
                        func(*p);                  \
        }                                          \
        struct _semicolon_

static inline void free_cleanup(void *p)
{
        free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(free_cleanup)

/* For a call that has set errno: 0 and more stays, -1 becomes the negative errno. */
#define RET_NERRNO(call)                      \
        ({                                    \
                __typeof__(call) _r = (call); \
                _r < 0 ? -errno : _r;         \
        })

/* Out of memory is the only error that most string functions have. */
#define OOM_CHECK(ptr)                  \
        do {                            \
                if (!(ptr))             \
                        return -ENOMEM; \
        } while (0)
