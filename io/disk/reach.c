/* SPDX-License-Identifier: MIT */
/* The files of the host that a configuration of somebody else may open. reach.h describes it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif
#include "mem/base/compat/file.h"
#include "mem/base/compat/text.h"
#include "io/disk/reach.h"
#include "io/disk/store.h"

char *reach_name(const struct reach *reach, const char *name, bool *given)
{
	*given = false;
	for (unsigned i = 0; i < reach->nmoves; i++) {
		const struct reach_move *move = &reach->moves[i];
		size_t len = strlen(move->from);
		char *to;

		if (strncmp(name, move->from, len) ||
		    (name[len] && name[len] != '/' && (!len || move->from[len - 1] != '/')))
			continue;
		*given = true;
		if (asprintf(&to, "%s%s", move->to, name + len) < 0)
			return NULL;
		return to;
	}
	return strdup(name);
}

/* Files that the kernel makes up: to open or to read one may do something. */
static bool made_up(const char *name)
{
#ifdef __linux__
	static const long types[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC,
		CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, EFIVARFS_MAGIC };
	struct statfs fs;

	if (statfs(name, &fs))
		return true;
	for (unsigned i = 0; i < ARRAY_LEN(types); i++)
		if ((unsigned)fs.f_type == (unsigned)types[i])
			return true;
#else
	(void)name;
#endif
	return false;
}

/* Names of other hosts and of devices on Windows: to look at one connects. */
static bool elsewhere(const char *name)
{
#ifdef _WIN32
	return strspn(name, "/\\") > 1;
#else
	(void)name;
	return false;
#endif
}

/* It is looked at before it is opened: to open a FIFO wakes its writer, and to open a device may do anything. */
int reach_open(const char *name, char *error)
{
	struct stat before, after;
	int fd;

	if (!elsewhere(name) && stat(name, &before)) {
		store_errno(error, errno, "read", name);
		return -1;
	}
	if (elsewhere(name) || !S_ISREG(before.st_mode) || made_up(name)) {
		store_failed(error, DISK_ERROR,
			     "%s: that is not a regular file, and nothing else is opened because a recording names it",
			     name);
		return -1;
	}
	fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		store_errno(error, errno, "read", name);
		return -1;
	}
	if (fstat(fd, &after)) {
		store_errno(error, errno, "read", name);
		close(fd);
		return -1;
	}
	if (!S_ISREG(after.st_mode) || !same_file(&before, &after)) {
		store_failed(error, DISK_ERROR, "%s: it has been replaced while it was opened", name);
		close(fd);
		return -1;
	}
	return fd;
}
