/* SPDX-License-Identifier: MIT */
/* A picture as a PNG file (ISO/IEC 15948): signature, then chunks of length, type, data, CRC; rows of RGB, each behind
 * a filter byte of 0, in one zlib stream. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cli.h"

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static bool chunk(FILE *f, const char *type, const unsigned char *data, uint32_t len)
{
	unsigned char head[8], tail[4];

	put32(head, len);
	memcpy(head + 4, type, 4);
	put32(tail, (uint32_t)crc32(crc32(0, head + 4, 4), data, len));
	return fwrite(head, 8, 1, f) == 1 && (!len || fwrite(data, len, 1, f) == 1) && fwrite(tail, 4, 1, f) == 1;
}

static bool write_png(FILE *f, const uint32_t *pixels, uint32_t width, uint32_t height)
{
	size_t row = 1 + 3 * (size_t)width, size = row * height;
	uLongf packed_size = compressBound((uLong)size);
	unsigned char *raw = malloc(size), *packed = malloc(packed_size), *p = raw;
	unsigned char header[13] = { [8] = 8 /* bits */, [9] = 2 /* RGB */ };
	bool ok = raw && packed;

	for (uint32_t y = 0; ok && y < height; y++) {
		*p++ = 0;
		for (uint32_t x = 0; x < width; x++, p += 3, pixels++)
			p[0] = (unsigned char)(*pixels >> 16), p[1] = (unsigned char)(*pixels >> 8),
				p[2] = (unsigned char)*pixels;
	}
	put32(header, width);
	put32(header + 4, height);
	ok = ok && compress(packed, &packed_size, raw, (uLong)size) == Z_OK && fwrite("\x89PNG\r\n\x1a\n", 8, 1, f) == 1 &&
	     chunk(f, "IHDR", header, sizeof header) && chunk(f, "IDAT", packed, (uint32_t)packed_size) &&
	     chunk(f, "IEND", header, 0);
	free(raw);
	free(packed);
	return ok;
}

bool screenshot(const vcpu *machine, int fd, const char *name)
{
	struct vcpu_screen s;
	uint32_t *pixels;
	FILE *f;
	bool ok;

	if (!vcpu_screen(machine, &s, NULL, 0)) {
		complain("%s: there is no picture to write", name);
		close(fd);
		return false;
	}
	pixels = malloc((size_t)s.width * s.height * sizeof *pixels);
	f = fdopen(fd, "wb");
	if (f && ftruncate(fd, 0))
		errno = 0; /* a pipe or a device cannot be cut */
	ok = pixels && f && vcpu_screen(machine, &s, pixels, (size_t)s.width * s.height) &&
	     write_png(f, pixels, s.width, s.height);
	if (f ? fclose(f) : close(fd))
		ok = false;
	free(pixels);
	if (!ok)
		complain("cannot write %s: %s", name, strerror(errno));
	return ok;
}
