/* SPDX-License-Identifier: MIT */
/* A recording to repeat, and the files that the user permits it to open: for vcpu replay and vcpu-dbg. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

bool recording_option(struct recording *r, int c, char *value)
{
	char *to;

	switch (c) {
	case RECORDING_PATH:
		to = strchr(value, '=');
		if (!to || to == value || !to[1] || r->files.moved_count == RECORDING_MOVES) {
			complain("--path %s: %s", value,
				 r->files.moved_count == RECORDING_MOVES
					 ? "there are too many"
					 : "OLD=NEW is needed, the name in the recording and where it is now");
			return false;
		}
		*to++ = 0;
		r->moves[r->files.moved_count++] = (struct vcpu_moved){ value, to };
		return true;
	case RECORDING_ALLOW_NBD:
		return r->files.nbd = true;
	case RECORDING_KERNEL:
		r->files.kernel = value;
		return true;
	case RECORDING_INITRD:
		r->files.initrd = value;
		return true;
	case RECORDING_BIOS:
		r->files.bios = value;
		return true;
	}
	return false;
}

void *recording_read(const char *name, size_t *len)
{
	FILE *file = fopen(name, "rbe");
	unsigned char *data = NULL, *more = NULL;
	size_t room = 1 << 20, n;

	*len = 0;
	while (file && (more = realloc(data, room))) {
		data = more;
		n = fread(data + *len, 1, room - *len, file);
		if (!n)
			break;
		if ((*len += n) == room)
			room *= 2;
	}
	if (!file || !more || ferror(file)) {
		complain("cannot read %s: %s", name, strerror(errno));
		free(data);
		data = NULL;
	}
	if (file)
		fclose(file);
	return data;
}

bool recording_open(struct recording *r, const char *name)
{
	char *error = NULL;
	size_t len;

	r->data = recording_read(name, &len);
	if (!r->data)
		return false;
	r->files.moved = r->moves;
	r->replay = vcpu_replay_open(r->data, len, &error);
	if (r->replay && vcpu_replay_allow(r->replay, &r->files))
		return true;
	complain("%s: %s", name, error ? error : "out of memory");
	free(error);
	recording_close(r);
	return false;
}

void recording_close(struct recording *r)
{
	vcpu_replay_free(r->replay);
	free(r->data);
	r->replay = NULL;
	r->data = NULL;
}

bool recording_connects(const struct recording *r)
{
	bool connects = r->files.nbd;

	for (unsigned i = 0; i < r->files.moved_count; i++)
		connects |= !strncmp(r->moves[i].to, "nbd:", 4);
	return connects;
}
