/* SPDX-License-Identifier: MIT */
/* The BSDs' funopen for files that are only written, so that programs of tests/hosts/portable can be linked. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

struct file { void *cookie; int (*write)(void *, const char *, int); };

static ssize_t write_file(void *of, const char *data, size_t len)
{
	struct file *file = of;

	return file->write(file->cookie, data, (int)len);
}

static int close_file(void *of)
{
	free(of);
	return 0;
}

FILE *funopen(const void *cookie, int (*read)(void *, char *, int), int (*write)(void *, const char *, int),
	      fpos_t (*seek)(void *, fpos_t, int), int (*close)(void *));
FILE *funopen(const void *cookie, int (*read)(void *, char *, int), int (*write)(void *, const char *, int),
	      fpos_t (*seek)(void *, fpos_t, int), int (*close)(void *))
{
	struct file *file = malloc(sizeof *file);

	(void)read, (void)seek, (void)close;
	if (!file)
		return NULL;
	*file = (struct file){ (void *)cookie, write };
	return fopencookie(file, "w", (cookie_io_functions_t){ .write = write_file, .close = close_file });
}
