/* SPDX-License-Identifier: MIT */
/* Shared by the targets of the fuzzers. A target is fuzz_NAME.c: LLVMFuzzerTestOneInput gives the bytes of an input to
 * the library, as an attacker would. `make fuzz' links it with libFuzzer, which looks for bytes that reach more of the
 * code; `make check' links it with replay_corpus.c, which gives it the files of corpus/NAME. An input that fails ends
 * the process. The same bytes always do the same. */
#ifndef FUZZ_H
#define FUZZ_H

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "mem/base/bits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__attribute__((format(printf, 1, 2), noreturn))
static inline void fuzz_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static inline void *fuzz_memory(void *p)
{
	if (!p)
		fuzz_fail("no memory for the test");
	return p;
}

/* The rest of an input. */
struct input { const u8 *at; size_t left; };

/* A number of SIZE bytes; zeroes follow an input's end. */
static inline u64 take(struct input *in, unsigned size)
{
	u64 value = 0;

	for (unsigned i = 0; i < size && in->left; i++, in->left--)
		value |= (u64)*in->at++ << 8 * i;
	return value;
}

/* Up to LEN bytes as they are: how many there were. */
static inline size_t take_bytes(struct input *in, void *out, size_t len)
{
	len = len < in->left ? len : in->left;
	if (len)
		memcpy(out, in->at, len);
	in->at += len;
	in->left -= len;
	return len;
}

/* With nothing behind its end that a sanitizer would let pass. */
static inline u8 *exact_copy(const void *data, size_t len)
{
	u8 *copy = fuzz_memory(malloc(len ? len : 1));

	if (len)
		memcpy(copy, data, len);
	return copy;
}

/* A refusal says why, in a line. */
static inline void check_refusal(char *error)
{
	if (!error || !*error || strchr(error, '\n'))
		fuzz_fail("a refusal without a reason, or of several lines: %s", error ? error : "");
	free(error);
}

/* A file in memory, under a name that can be opened. */
struct fuzz_file { int fd; char path[32]; };

static inline struct fuzz_file fuzz_file(void)
{
	struct fuzz_file f = { .fd = memfd_create("fuzz", MFD_CLOEXEC) };

	if (f.fd < 0)
		fuzz_fail("no memory for a file");
	snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.fd);
	return f;
}

static inline void fuzz_file_set(struct fuzz_file f, const void *data, size_t len)
{
	if (ftruncate(f.fd, 0) || pwrite(f.fd, data, len, 0) != (ssize_t)len)
		fuzz_fail("no memory for a file");
}

#endif
