/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "mem/base/compat/text.h"
#include "share.h"

/* Messages: size (32) type (8) tag (16) body. Strings have a 16-bit length; a qid is type (8) version (32) path (64).
 * */
enum { TSTATFS = 8, TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TREADLINK = 22, TGETATTR = 24, TSETATTR = 26,
	TXATTRWALK = 30, TREADDIR = 40,
	TFSYNC = 50, TLOCK = 52, TGETLOCK = 54, TLINK = 70, TMKDIR = 72, TRENAMEAT = 74, TUNLINKAT = 76, TVERSION = 100,
	TATTACH = 104,
	TFLUSH = 108, TWALK = 110, TREAD = 116, TWRITE = 118, TCLUNK = 120, TREMOVE = 122, RLERROR = 7 };
enum { HEADER = 7, MESSAGE_MAX = 512 * 1024, FIDS = 4096, WALK_MAX = 16, WAITING_MAX = 64 << 20, SPARE_FILES = 64 };
/* Names of directories that are being read: so many pieces of so many names, 5 MiB at most. */
enum { PIECES = 16, PIECE = 1024, NAME_ROOM = 256 };
enum { QID_DIR = 0x80, QID_LINK = 0x02, L_CREAT = 0100, L_EXCL = 0200, L_TRUNC = 01000, L_APPEND = 02000 };

/* What the guest calls by a number of its own. */
struct fid {
	bool used;
	uint32_t number;
	int path;          /* O_PATH: the file itself, whatever its name is by now */
	int fd;            /* open for reading or writing; -1 */
	int unsynced;      /* errno of an fsync that failed: no later one succeeds */
	uint64_t next;     /* directory: the offset behind the last name that was sent; */
	char *last;        /* and that name; NULL */
};

/* Some of a directory's names, in order, from offset FIRST on. */
struct piece {
	const struct fid *of; /* NULL: free */
	uint64_t first, used; /* when it was of use last */
	unsigned count;
	bool more;            /* there are names behind them */
	char *names[PIECE];
};

struct answer {
	struct answer *next;
	size_t len;
	unsigned char bytes[];
};

struct share {
	int root;
	bool writable;
	char tag[33];
	uint32_t msize;
	struct fid fids[FIDS];
	unsigned files, files_max; /* descriptors that fids have, and may have */
	struct piece pieces[PIECES];
	uint64_t uses;
	struct answer *first, **last;
	size_t waiting;    /* bytes */
	/* The message in hand. */
	const unsigned char *in;
	size_t in_len, at;
	bool bad;          /* it ends too early */
	unsigned char out[MESSAGE_MAX];
	size_t out_len;
};

/* ---- the messages' fields ---- */

static uint64_t get(struct share *s, unsigned size)
{
	uint64_t value = 0;

	if (size > s->in_len - s->at) {
		s->bad = true;
		return 0;
	}
	memcpy(&value, s->in + s->at, size); /* little-endian, as every host that this runs on */
	s->at += size;
	return value;
}

/* LEN bytes of the message. */
static const char *get_bytes(struct share *s, size_t len)
{
	const char *bytes = (const char *)s->in + s->at;

	if (s->bad || len > s->in_len - s->at) {
		s->bad = true;
		return "";
	}
	s->at += len;
	return bytes;
}

/* A string of less than ROOM bytes; false: it is longer, or there is a zero in it. */
static bool get_text(struct share *s, char *text, size_t room)
{
	size_t len = get(s, 2);
	const char *bytes = get_bytes(s, len);

	*text = 0;
	if (s->bad || len >= room || memchr(bytes, 0, len))
		return false;
	memcpy(text, bytes, len);
	text[len] = 0;
	return true;
}

static void skip_text(struct share *s)
{
	get_bytes(s, get(s, 2));
}

/* A name: one component, which leads to no other directory. */
static bool get_name(struct share *s, char name[NAME_ROOM])
{
	return get_text(s, name, NAME_ROOM) && *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

/* All of the message has been read, and it is one. Nobody does anything before. */
static bool whole(const struct share *s)
{
	return !s->bad && s->at == s->in_len;
}

static void put(struct share *s, uint64_t value, unsigned size)
{
	if (size > sizeof s->out - s->out_len)
		return;
	memcpy(s->out + s->out_len, &value, size);
	s->out_len += size;
}

static void put_text(struct share *s, const char *text, size_t len)
{
	put(s, len, 2);
	if (len > sizeof s->out - s->out_len)
		return;
	memcpy(s->out + s->out_len, text, len);
	s->out_len += len;
}

static unsigned qid_type(mode_t mode)
{
	return S_ISDIR(mode) ? QID_DIR : S_ISLNK(mode) ? QID_LINK : 0;
}

static void put_qid(struct share *s, const struct stat *st)
{
	put(s, qid_type(st->st_mode), 1);
	put(s, (uint32_t)(st->st_mtim.tv_sec ^ st->st_mtim.tv_nsec << 8), 4);
	put(s, st->st_ino ^ (uint64_t)st->st_dev << 40, 8);
}

/* ---- fids ---- */

static struct fid *find(struct share *s, uint32_t number)
{
	for (unsigned i = 0; i < FIDS; i++)
		if (s->fids[i].used && s->fids[i].number == number)
			return &s->fids[i];
	return NULL;
}

static struct fid *get_fid(struct share *s)
{
	return find(s, (uint32_t)get(s, 4));
}

/* NUMBER for PATH, which is closed if there is none left. Returns 0 or an errno. */
static int add(struct share *s, uint32_t number, int path)
{
	for (unsigned i = find(s, number) || s->files >= s->files_max ? FIDS : 0; i < FIDS; i++) {
		if (s->fids[i].used)
			continue;
		s->fids[i] = (struct fid){ .used = true, .number = number, .path = path, .fd = -1 };
		s->files++;
		return 0;
	}
	close(path);
	return EMFILE;
}

static void empty_piece(struct piece *p)
{
	while (p->count)
		free(p->names[--p->count]);
	p->of = NULL;
}

static struct piece *piece_of(struct share *s, const struct fid *f)
{
	for (unsigned i = 0; i < PIECES; i++)
		if (s->pieces[i].of == f)
			return &s->pieces[i];
	return NULL;
}

static void drop(struct share *s, struct fid *f)
{
	struct piece *p = piece_of(s, f);

	close(f->path);
	s->files -= 1u + (f->fd >= 0);
	if (f->fd >= 0)
		close(f->fd);
	if (p)
		empty_piece(p);
	free(f->last);
	f->used = false;
}

static void drop_all(struct share *s)
{
	for (unsigned i = 0; i < FIDS; i++)
		if (s->fids[i].used)
			drop(s, &s->fids[i]);
}

/* One component that is no link: there is nothing in it by which openat could leave the directory. */
static int path_below(int dir, const char *name)
{
	return openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Open what PATH is, which must be a regular file or a directory: its own name cannot be another's by then. */
static int reopen(int path, int flags)
{
	char name[40];
	struct stat st;

	if (fstat(path, &st))
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		errno = S_ISLNK(st.st_mode) ? ELOOP : EACCES;
		return -1;
	}
	snprintf(name, sizeof name, "/proc/self/fd/%d", path);
	return open(name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* ---- requests: each returns 0 or an errno ---- */

static int version(struct share *s)
{
	static const char ours[] = "9P2000.L";
	uint32_t msize = (uint32_t)get(s, 4);
	char theirs[32];
	bool same = get_text(s, theirs, sizeof theirs) && !strcmp(theirs, ours);

	if (!whole(s) || msize < 4096)
		return EINVAL;
	drop_all(s);
	msize = msize < MESSAGE_MAX ? msize : MESSAGE_MAX;
	s->msize = same ? msize : 0;
	put(s, msize, 4);
	if (same)
		put_text(s, ours, strlen(ours));
	else
		put_text(s, "unknown", 7);
	return 0;
}

static int attach(struct share *s)
{
	uint32_t number = (uint32_t)get(s, 4);
	struct stat st;
	int path;

	get(s, 4); /* a fid for authentication; the names of the user and of the tree, the user's number */
	skip_text(s);
	skip_text(s);
	get(s, 4);
	if (!whole(s))
		return EINVAL;
	path = fcntl(s->root, F_DUPFD_CLOEXEC, 0);
	if (path < 0)
		return errno;
	if (fstat(path, &st)) {
		int error = errno;

		close(path);
		return error;
	}
	put_qid(s, &st);
	return add(s, number, path);
}

static int walk(struct share *s)
{
	struct fid *from = get_fid(s);
	uint32_t number = (uint32_t)get(s, 4);
	unsigned n = (unsigned)get(s, 2), done = 0;
	char names[WALK_MAX][NAME_ROOM];
	size_t count_at = s->out_len;
	int path, error = 0;

	for (unsigned i = 0; i < n && i < WALK_MAX; i++)
		if (!get_name(s, names[i]))
			*names[i] = 0;
	if (!whole(s) || !from || n > WALK_MAX || (find(s, number) && find(s, number) != from))
		return EINVAL;
	path = fcntl(from->path, F_DUPFD_CLOEXEC, 0);
	if (path < 0)
		return errno;
	put(s, 0, 2);
	for (; done < n; done++) {
		struct stat st;
		int next;

		if (!*names[done]) {
			error = EACCES;
			break;
		}
		next = path_below(path, names[done]);
		if (next < 0 || fstat(next, &st)) {
			error = errno;
			if (next >= 0)
				close(next);
			break;
		}
		close(path);
		path = next;
		put_qid(s, &st);
	}
	memcpy(s->out + count_at, &(uint16_t){ (uint16_t)done }, 2);
	if (done < n) {
		close(path);
		return done ? 0 : error;
	}
	if (number == from->number)
		drop(s, from);
	return add(s, number, path);
}

/* The guest's flags are Linux's, which are the host's. */
static int host_flags(const struct share *s, uint32_t flags)
{
	if (!s->writable && ((flags & O_ACCMODE) != O_RDONLY || (flags & (L_TRUNC | L_CREAT | L_APPEND))))
		return -1;
	return (int)(flags & O_ACCMODE) | (flags & L_TRUNC ? O_TRUNC : 0) | (flags & L_APPEND ? O_APPEND : 0);
}

static int put_opened(struct share *s, const struct fid *f)
{
	struct stat st;

	if (fstat(f->path, &st))
		return errno;
	put_qid(s, &st);
	put(s, 0, 4);
	return 0;
}

static int lopen(struct share *s)
{
	struct fid *f = get_fid(s);
	int flags = host_flags(s, (uint32_t)get(s, 4));

	if (!whole(s))
		return EINVAL;
	if (!f || f->fd >= 0)
		return EBADF;
	if (flags < 0)
		return EROFS;
	if (s->files >= s->files_max)
		return EMFILE;
	f->fd = reopen(f->path, flags);
	if (f->fd < 0)
		return errno;
	s->files++;
	return put_opened(s, f);
}

static int lcreate(struct share *s)
{
	struct fid *f = get_fid(s);
	char name[NAME_ROOM];
	bool named = get_name(s, name);
	int flags = host_flags(s, (uint32_t)get(s, 4) | L_CREAT), fd, path;
	mode_t mode = (mode_t)get(s, 4) & 0777;

	get(s, 4); /* group */
	if (!whole(s) || !f || f->fd >= 0 || !named)
		return EINVAL;
	if (flags < 0)
		return EROFS;
	if (s->files >= s->files_max)
		return EMFILE;
	/* Always a new file: what is there already is opened by walking to it. */
	fd = openat(f->path, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return errno;
	path = reopen(fd, O_PATH);
	if (path < 0) {
		int error = errno;

		close(fd);
		return error;
	}
	close(f->path);
	f->path = path;
	f->fd = fd;
	s->files++;
	return put_opened(s, f);
}

static int getattr(struct share *s)
{
	struct fid *f = get_fid(s);
	struct stat st;

	get(s, 8); /* what it wants to know: it gets all */
	if (!whole(s))
		return EINVAL;
	if (!f)
		return EBADF;
	if (fstat(f->path, &st))
		return errno;
	put(s, 0x7ff, 8); /* what follows up to blocks is valid */
	put_qid(s, &st);
	put(s, st.st_mode, 4);
	put(s, st.st_uid, 4);
	put(s, st.st_gid, 4);
	put(s, st.st_nlink, 8);
	put(s, st.st_rdev, 8);
	put(s, (uint64_t)st.st_size, 8);
	put(s, (uint64_t)st.st_blksize, 8);
	put(s, (uint64_t)st.st_blocks, 8);
	/* access: as the last change, for a look must not change what the next one sees */
	for (unsigned i = 0; i < 3; i++) {
		const struct timespec *t = i < 2 ? &st.st_mtim : &st.st_ctim;

		put(s, (uint64_t)t->tv_sec, 8);
		put(s, (uint64_t)t->tv_nsec, 8);
	}
	for (unsigned i = 0; i < 4; i++) /* birth, generation, data version: unknown */
		put(s, 0, 8);
	return 0;
}

static int setattr(struct share *s)
{
	enum { MODE = 1, UID = 2, GID = 4, SIZE = 8, ATIME = 16, MTIME = 32, ATIME_SET = 128, MTIME_SET = 256 };
	struct fid *f = get_fid(s);
	uint32_t valid = (uint32_t)get(s, 4), mode = (uint32_t)get(s, 4);
	uint64_t size;
	struct timespec times[2];
	struct stat st;
	int error = 0, fd;

	get(s, 8); /* owner and group stay */
	size = get(s, 8);
	for (unsigned i = 0; i < 2; i++) {
		times[i].tv_sec = (time_t)get(s, 8);
		times[i].tv_nsec = (long)(get(s, 8) % 1000000000);
		if (!(valid & (i ? MTIME : ATIME)))
			times[i].tv_nsec = UTIME_OMIT;
		else if (!(valid & (i ? MTIME_SET : ATIME_SET)))
			times[i].tv_nsec = UTIME_NOW;
	}
	if (!whole(s))
		return EINVAL;
	if (!f)
		return EBADF;
	if (!s->writable)
		return EROFS;
	if (fstat(f->path, &st))
		return errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return EOPNOTSUPP;
	if (!(valid & (MODE | SIZE | ATIME | MTIME)))
		return 0;
	/* By descriptor, not by name: the sandbox sees to it that only files of the folder can be opened. */
	fd = reopen(f->path, valid & SIZE ? O_WRONLY : O_RDONLY);
	if (fd < 0 && errno == EACCES)
		fd = reopen(f->path, O_WRONLY);
	if (fd < 0)
		return errno;
	if (((valid & MODE) && fchmod(fd, mode & 0777)) || ((valid & SIZE) && ftruncate(fd, (off_t)size)) ||
	    ((valid & (ATIME | MTIME)) && futimens(fd, times)))
		error = errno;
	close(fd);
	return error;
}

static int read_file(struct share *s)
{
	struct fid *f = get_fid(s);
	uint64_t offset = get(s, 8);
	uint32_t count = (uint32_t)get(s, 4), room = s->msize - HEADER - 4;
	ssize_t n;

	if (!whole(s))
		return EINVAL;
	if (!f || f->fd < 0)
		return EBADF;
	n = pread(f->fd, s->out + HEADER + 4, count < room ? count : room, (off_t)offset);
	if (n < 0)
		return errno;
	put(s, (uint64_t)n, 4);
	s->out_len += (size_t)n;
	return 0;
}

static int write_file(struct share *s)
{
	struct fid *f = get_fid(s);
	uint64_t offset = get(s, 8);
	uint32_t count = (uint32_t)get(s, 4);
	const char *bytes = get_bytes(s, count);
	ssize_t n;

	if (!whole(s))
		return EINVAL;
	if (!f || f->fd < 0)
		return EBADF;
	if (!s->writable)
		return EROFS;
	n = pwrite(f->fd, bytes, count, (off_t)offset);
	if (n < 0)
		return errno;
	put(s, (uint64_t)n, 4);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sort what is in P, and keep PIECE / 2 names of it if there are more. */
static void sort_piece(struct piece *p)
{
	qsort(p->names, p->count, sizeof *p->names, by_name);
	for (p->more |= p->count > PIECE / 2; p->count > PIECE / 2;)
		free(p->names[--p->count]);
}

/* The names behind AFTER (NULL: from the first on) into P, of which FIRST is the offset. Sorted: the order in which
 * a host keeps them is nobody's business. However large a directory is, only a piece of it is in memory: the
 * smallest names seen so far. */
static int read_piece(struct piece *p, const struct fid *f, const char *after, uint64_t first)
{
	int fd = reopen(f->path, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char behind[NAME_ROOM] = "";
	struct dirent *e;

	if (!dir) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return error;
	}
	if (after)
		snprintf(behind, sizeof behind, "%s", after); /* it may be one of P's */
	empty_piece(p);
	p->of = f;
	p->first = first;
	p->more = false;
	while ((e = readdir(dir))) {
		if (*behind && strcmp(e->d_name, behind) <= 0)
			continue;
		if (p->count == PIECE)
			sort_piece(p);
		if (p->more && strcmp(e->d_name, p->names[PIECE / 2 - 1]) > 0)
			continue;
		p->names[p->count] = strdup(e->d_name);
		if (!p->names[p->count])
			break;
		p->count++;
	}
	closedir(dir);
	sort_piece(p);
	return e ? ENOMEM : 0;
}

/* F's piece with the name of OFFSET in it; without, if there is no such name. That of somebody else may have to go:
 * it is made again from the last name that was sent, and nothing is lost or sent twice. */
static int find_piece(struct share *s, struct fid *f, uint64_t offset, struct piece **out)
{
	struct piece *p = piece_of(s, f);
	bool fresh = !p;
	int error = 0;

	for (unsigned i = 0; fresh && i < PIECES; i++)
		if (!p || !s->pieces[i].of || (p->of && s->pieces[i].used < p->used))
			p = &s->pieces[i];
	if (fresh || !offset || offset < p->first || offset > p->first + p->count) {
		bool goes_on = offset && f->last && offset == f->next;

		error = read_piece(p, f, goes_on ? f->last : NULL, goes_on ? offset : 0);
	}
	while (!error && p->more && offset >= p->first + p->count)
		error = read_piece(p, f, p->names[p->count - 1], p->first + p->count);
	if (error)
		empty_piece(p);
	p->used = ++s->uses;
	*out = p;
	return error;
}

/* Entries: qid offset of the next (64) type (8) name. ".." looks like the directory itself: what is above it is not to
 * be seen. */
static int readdir_9p(struct share *s)
{
	struct fid *f = get_fid(s);
	uint64_t offset = get(s, 8), next = offset;
	uint32_t count = (uint32_t)get(s, 4), room = s->msize - HEADER - 4;
	size_t start;
	struct piece *p;
	const char *last = NULL;
	int error;

	if (!whole(s))
		return EINVAL;
	if (!f || f->fd < 0)
		return EBADF;
	error = find_piece(s, f, offset, &p);
	if (error)
		return error;
	if (count > room)
		count = room;
	put(s, 0, 4);
	start = s->out_len;
	for (uint64_t i = offset - p->first; i < p->count; i++) {
		const char *name = p->names[i];
		size_t len = strlen(name);
		struct stat st;

		if (s->out_len - start + 24 + len > count)
			break;
		last = name;
		next = p->first + i + 1;
		if (fstatat(f->path, !strcmp(name, "..") ? "." : name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		put_qid(s, &st);
		put(s, next, 8);
		put(s, S_ISDIR(st.st_mode) ? DT_DIR : S_ISLNK(st.st_mode) ? DT_LNK : DT_REG, 1);
		put_text(s, name, len);
	}
	memcpy(s->out + start - 4, &(uint32_t){ (uint32_t)(s->out_len - start) }, 4);
	if (last) {
		free(f->last);
		f->last = strdup(last);
		f->next = next;
	}
	return 0;
}

static int readlink_9p(struct share *s)
{
	struct fid *f = get_fid(s);
	char target[4096];
	ssize_t n;

	if (!whole(s))
		return EINVAL;
	if (!f)
		return EBADF;
	n = readlinkat(f->path, "", target, sizeof target);
	if (n < 0)
		return errno;
	put_text(s, target, (size_t)n);
	return 0;
}

static int put_created(struct share *s, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno;
	put_qid(s, &st);
	return 0;
}

static int mkdir_9p(struct share *s)
{
	struct fid *f = get_fid(s);
	char name[NAME_ROOM];
	bool named = get_name(s, name);
	mode_t mode = (mode_t)get(s, 4) & 0777;

	get(s, 4); /* group */
	if (!whole(s) || !f || !named)
		return EINVAL;
	return mkdirat(f->path, name, mode) ? errno : put_created(s, f->path, name);
}

static int symlink_9p(struct share *s)
{
	struct fid *f = get_fid(s);
	char name[NAME_ROOM], target[4096];
	bool named = get_name(s, name), aimed = get_text(s, target, sizeof target);

	get(s, 4); /* group */
	if (!whole(s) || !f || !named)
		return EINVAL;
	if (!aimed)
		return ENAMETOOLONG;
	return symlinkat(target, f->path, name) ? errno : put_created(s, f->path, name);
}

static int link_9p(struct share *s)
{
	struct fid *dir = get_fid(s), *f = get_fid(s);
	char name[NAME_ROOM], from[40];
	bool named = get_name(s, name);
	struct stat st;

	if (!whole(s) || !dir || !f || !named || fstat(f->path, &st) || !S_ISREG(st.st_mode))
		return EINVAL;
	snprintf(from, sizeof from, "/proc/self/fd/%d", f->path);
	return linkat(AT_FDCWD, from, dir->path, name, AT_SYMLINK_FOLLOW) ? errno : 0;
}

static int renameat_9p(struct share *s)
{
	char old[NAME_ROOM], new[NAME_ROOM];
	struct fid *from = get_fid(s), *to;
	bool named = get_name(s, old);

	to = get_fid(s);
	named &= get_name(s, new);
	if (!whole(s) || !from || !to || !named)
		return EINVAL;
	return renameat(from->path, old, to->path, new) ? errno : 0;
}

static int unlinkat_9p(struct share *s)
{
	struct fid *f = get_fid(s);
	char name[NAME_ROOM];
	bool named = get_name(s, name);
	uint32_t flags = (uint32_t)get(s, 4);

	if (!whole(s) || !f || !named)
		return EINVAL;
	return unlinkat(f->path, name, flags & 0x200 ? AT_REMOVEDIR : 0) ? errno : 0;
}

static int clunk(struct share *s)
{
	struct fid *f = get_fid(s);

	if (!whole(s))
		return EINVAL;
	if (!f)
		return EBADF;
	drop(s, f);
	return 0;
}

static int statfs_9p(struct share *s)
{
	struct fid *f = get_fid(s);
	struct statfs st;

	if (!whole(s))
		return EINVAL;
	if (!f)
		return EBADF;
	if (fstatfs(s->root, &st))
		return errno;
	put(s, 0x01021997, 4); /* V9FS_MAGIC */
	put(s, (uint64_t)st.f_bsize, 4);
	put(s, st.f_blocks, 8);
	put(s, st.f_bfree, 8);
	put(s, st.f_bavail, 8);
	put(s, st.f_files, 8);
	put(s, st.f_ffree, 8);
	put(s, 0, 8);
	put(s, 255, 4);
	return 0;
}

/* An fsync that failed is not tried again into success: the kernel may have dropped what it could not write. */
static int fsync_9p(struct share *s)
{
	struct fid *f = get_fid(s);

	if (s->at < s->in_len)
		get(s, 4); /* only the data; older clients do not send it */
	if (!whole(s))
		return EINVAL;
	if (!f || f->fd < 0)
		return EBADF;
	if (!f->unsynced && fsync(f->fd))
		f->unsynced = errno;
	return f->unsynced;
}

/* One guest: no lock is ever taken by another. Fid, type, flags, start, length, process, client. */
static int lock(struct share *s)
{
	get(s, 4), get(s, 1), get(s, 4), get(s, 8), get(s, 8), get(s, 4);
	skip_text(s);
	put(s, 0, 1);
	return whole(s) ? 0 : EINVAL;
}

/* The same without flags. */
static int getlock(struct share *s)
{
	get(s, 4), get(s, 1), get(s, 8), get(s, 8), get(s, 4);
	skip_text(s);
	put(s, 2, 1); /* F_UNLCK */
	for (unsigned i = 0; i < 2; i++)
		put(s, 0, 8);
	put(s, 0, 4);
	put_text(s, "", 0);
	return whole(s) ? 0 : EINVAL;
}

/* Every request has been answered when the next one comes. */
static int nothing(struct share *s)
{
	get(s, 2);
	return whole(s) ? 0 : EINVAL;
}

static const struct request {
	int (*run)(struct share *s);
	bool writes;
} requests[256] = {
	[TVERSION] = { version, false }, [TATTACH] = { attach, false }, [TWALK] = { walk, false },
		[TFLUSH] = { nothing, false },
	[TCLUNK] = { clunk, false }, [TSTATFS] = { statfs_9p, false }, [TLOPEN] = { lopen, false },
	[TLCREATE] = { lcreate, true },
	[TGETATTR] = { getattr, false }, [TSETATTR] = { setattr, true }, [TREAD] = { read_file, false },
	[TWRITE] = { write_file, true },
	[TREADDIR] = { readdir_9p, false }, [TREADLINK] = { readlink_9p, false }, [TMKDIR] = { mkdir_9p, true },
	[TSYMLINK] = { symlink_9p, true },
	[TLINK] = { link_9p, true }, [TRENAMEAT] = { renameat_9p, true }, [TUNLINKAT] = { unlinkat_9p, true },
	[TFSYNC] = { fsync_9p, false },
	[TLOCK] = { lock, false }, [TGETLOCK] = { getlock, false },
};

/* ---- the ends ---- */

void share_request(struct share *s, const void *message, size_t len)
{
	const unsigned char *in = message;
	const struct request *r;
	struct answer *a;
	uint32_t size;
	int error;

	if (len < HEADER || len > (size_t)1 << 20)
		return;
	s->in = in;
	s->in_len = len;
	s->at = HEADER;
	s->bad = false;
	s->out_len = HEADER;
	r = &requests[in[4]];
	memcpy(&size, in, 4);
	error = size != len ? EINVAL : !r->run ? EOPNOTSUPP : r->writes && !s->writable ? EROFS :
		in[4] != TVERSION && !s->msize ? EINVAL : r->run(s);
	s->out[4] = (unsigned char)(in[4] + 1);
	if (!error && s->msize && s->out_len > s->msize)
		error = EOVERFLOW; /* a link's target is all that can be so long */
	if (error) {
		s->out_len = HEADER;
		s->out[4] = RLERROR;
		put(s, (uint32_t)error, 4);
	}
	memcpy(s->out, &(uint32_t){ (uint32_t)s->out_len }, 4);
	memcpy(s->out + 5, in + 5, 2);
	a = s->waiting > WAITING_MAX ? NULL : malloc(sizeof *a + s->out_len);
	if (!a)
		return;
	a->next = NULL;
	a->len = s->out_len;
	memcpy(a->bytes, s->out, s->out_len);
	s->waiting += a->len;
	*s->last = a;
	s->last = &a->next;
}

/* An answer that nobody waits for any more, after a reset of the device, is dropped. */
void share_deliver(struct share *s, vcpu *machine)
{
	while (s->first) {
		struct answer *a = s->first;

		if (machine)
			vcpu_input(machine, VCPU_SHARE, a->bytes, a->len);
		s->first = a->next;
		s->waiting -= a->len;
		free(a);
	}
	s->last = &s->first;
}

__attribute__((format(printf, 2, 3)))
static bool say(char **error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vasprintf(error, format, ap) < 0)
		*error = NULL;
	va_end(ap);
	return false;
}

static bool options(struct share *s, const char *spec, char **error)
{
	char *text = strdup(spec), *next = text, *directory = strsep(&next, ","), *option;
	bool ok = true;

	s->root = directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (s->root < 0)
		ok = say(error, "cannot share %s: %s", directory ? directory : "", strerror(errno));
	while (ok && (option = strsep(&next, ","))) {
		if (!strcmp(option, "rw"))
			s->writable = true;
		else if (!strncmp(option, "tag=", 4) && option[4] && strlen(option + 4) < sizeof s->tag)
			strcpy(s->tag, option + 4);
		else
			ok = say(error, "'%s' is no option of a share: rw and tag=NAME (at most 32 bytes) are", option);
	}
	free(text);
	return ok;
}

struct share *share_open(const char *spec, char **error)
{
	struct share *s = calloc(1, sizeof *s);
	struct rlimit files;

	if (!s) {
		say(error, "out of memory");
		return NULL;
	}
	s->last = &s->first;
	s->root = -1;
	strcpy(s->tag, "share");
	if (!options(s, spec, error)) {
		share_close(s);
		return NULL;
	}
	s->files_max = 2 * FIDS;
	if (getrlimit(RLIMIT_NOFILE, &files))
		return s;
	if (files.rlim_cur < files.rlim_max && files.rlim_cur < 2 * FIDS + SPARE_FILES) { /* every fid is one or two */
		files.rlim_cur = files.rlim_max < 2 * FIDS + SPARE_FILES ? files.rlim_max : 2 * FIDS + SPARE_FILES;
		setrlimit(RLIMIT_NOFILE, &files);
		getrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur < 2 * FIDS + SPARE_FILES) /* the guest does not get those that the program needs */
		s->files_max = files.rlim_cur > 2 * SPARE_FILES ? (unsigned)files.rlim_cur - SPARE_FILES : SPARE_FILES;
	return s;
}

void share_close(struct share *s)
{
	if (!s)
		return;
	drop_all(s);
	share_deliver(s, NULL);
	if (s->root >= 0)
		close(s->root);
	free(s);
}

const char *share_tag(const struct share *s)
{
	return s->tag;
}
