/* SPDX-License-Identifier: MIT */
/* Memory at a multiple of ALIGNMENT, a power of 2 that divides SIZE: Windows has another free for it. */
#ifndef COMPAT_MEMORY_H
#define COMPAT_MEMORY_H

#include <stdlib.h>

#ifdef _WIN32
#include <malloc.h>
static inline void *aligned_new(size_t alignment, size_t size) { return _aligned_malloc(size, alignment); }
static inline void aligned_free(void *at) { _aligned_free(at); }
#else
static inline void *aligned_new(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
static inline void aligned_free(void *at) { free(at); }
#endif

#endif
