/* SPDX-License-Identifier: MIT */
/* Network block devices, through libnbd: whatever qemu-nbd or nbdkit can serve.
 *
 * Every wait for the server has an end: PATIENCE, or HURRY if the owner wants to stop. The request that HURRY leaves
 * behind goes on; the same request, made again, waits for the rest of it. Time is counted in what poll waited: the
 * library reads no clock.
 *
 * A server that is gone is called again once for every request. What it had acknowledged since the last flush may be
 * gone with it: the next flush fails. */
#include <errno.h>
#include <stdlib.h>
#include "io/disk/store.h"

#if HAVE_LIBNBD
#include <libnbd.h>

#define REQUEST_MAX (32u << 20) /* every server takes that much at once */

/* Microseconds. */
#define SLICE 10000u
#define PROGRESS 25u            /* a poll that had something: a server that dribbles must not last for ever */
#define HURRY 250000u
#define PATIENCE 30000000u
#define RECONNECT 1000000u

enum op { NONE, READ, WRITE, FLUSH };

struct nbd {
	struct store store;
	struct nbd_handle *handle; /* NULL: not connected */
	const struct disk_host *host;
	bool writable;
	bool unflushed;     /* writes were acknowledged since the last flush */
	bool lost;          /* and then the server was gone */
	bool said;          /* that it was; no request has succeeded since */
	/* The request that is under way. */
	enum op op;
	u64 offset;
	size_t len;
	u8 *bytes;          /* its own: the caller's may be gone before it ends */
	int64_t cookie;
	u64 waited;
	char uri[];
};

static enum disk_result failed(struct nbd *nbd)
{
	const char *text = nbd_get_error();
	int number = nbd_get_errno();

	return store_failed(nbd->store.error, number == ENOSPC || number == EDQUOT ? DISK_FULL : DISK_ERROR,
		"nbd:%s: %s", nbd->uri,
		text ? text : "the connection is closed");
}

static void forget(struct nbd *nbd)
{
	free(nbd->bytes);
	nbd->bytes = NULL;
	nbd->op = NONE;
	nbd->waited = 0;
}

/* The connection is of no use any more. */
static void hang_up(struct nbd *nbd)
{
	nbd_close(nbd->handle);
	nbd->handle = NULL;
	nbd->lost |= nbd->unflushed || nbd->op == FLUSH;
	nbd->unflushed = false;
	forget(nbd);
}

/* One turn of waiting, of at most PATIENCE in all. */
static enum disk_result turn(struct nbd *nbd, u64 *waited, u64 patience)
{
	int n = nbd_poll(nbd->handle, SLICE / 1000);

	if (n < 0)
		return failed(nbd);
	*waited += n ? PROGRESS : SLICE;
	if (*waited >= patience)
		return store_failed(nbd->store.error, DISK_ERROR, "nbd:%s: the server does not answer", nbd->uri);
	if (*waited >= HURRY && nbd->host && nbd->host->hurry && nbd->host->hurry(nbd->host->owner))
		return store_failed(nbd->store.error, DISK_STALLED, "nbd:%s: the server does not answer", nbd->uri);
	return DISK_OK;
}

static enum disk_result check_server(struct nbd *nbd)
{
	s64 size = nbd_get_size(nbd->handle);

	if (size < 0)
		return failed(nbd);
	if (nbd->writable && nbd_is_read_only(nbd->handle) == 1)
		return store_failed(nbd->store.error, DISK_ERROR,
			"nbd:%s: the server lets nobody write; readonly, snapshot or overlay= would do", nbd->uri);
	if (nbd->store.size && (u64)size < nbd->store.start + nbd->store.size)
		return store_failed(nbd->store.error, DISK_ERROR, "nbd:%s: the server has another disk now", nbd->uri);
	if (!nbd->store.size)
		nbd->store.size = (u64)size;
	return DISK_OK;
}

static enum disk_result call(struct nbd *nbd, u64 patience)
{
	const char *uri = nbd->uri;
	enum disk_result result = DISK_OK;
	u64 waited = 0;

	nbd->handle = nbd_create();
	if (!nbd->handle)
		return failed(nbd);
	if (strncmp(uri, "unix:", 5) ? nbd_aio_connect_uri(nbd->handle, uri)
				     : nbd_aio_connect_unix(nbd->handle, uri + 5))
		result = failed(nbd);
	while (result == DISK_OK && nbd_aio_is_connecting(nbd->handle))
		result = turn(nbd, &waited, patience);
	if (result == DISK_OK && !nbd_aio_is_ready(nbd->handle))
		result = failed(nbd);
	if (result == DISK_OK)
		result = check_server(nbd);
	if (result != DISK_OK)
		hang_up(nbd);
	return result;
}

static enum disk_result call_again(struct nbd *nbd)
{
	enum disk_result result = call(nbd, RECONNECT);
	char text[DISK_ERROR_MAX];

	if (result == DISK_OK && !nbd->said && nbd->host && nbd->host->say) {
		nbd->said = true;
		store_failed(text, DISK_OK, "nbd:%s: the server was gone; connected again", nbd->uri);
		nbd->host->say(nbd->host->owner, text);
	}
	return result == DISK_FULL ? DISK_ERROR : result;
}

static enum disk_result start(struct nbd *nbd, enum op op, u64 offset, const void *data, size_t len)
{
	nbd->bytes = malloc(len ? len : 1);
	if (!nbd->bytes)
		return store_failed(nbd->store.error, DISK_ERROR, "nbd:%s: the host has no memory for a request",
				    nbd->uri);
	if (op == WRITE)
		memcpy(nbd->bytes, data, len);
	nbd->op = op;
	nbd->offset = offset;
	nbd->len = len;
	nbd->cookie = op == READ ? nbd_aio_pread(nbd->handle, nbd->bytes, len, offset, NBD_NULL_COMPLETION, 0) :
		op == WRITE ? nbd_aio_pwrite(nbd->handle, nbd->bytes, len, offset, NBD_NULL_COMPLETION, 0) :
		nbd_aio_flush(nbd->handle, NBD_NULL_COMPLETION, 0);
	if (nbd->cookie < 0) {
		enum disk_result result = failed(nbd);

		forget(nbd);
		if (nbd_aio_is_dead(nbd->handle) || nbd_aio_is_closed(nbd->handle))
			hang_up(nbd);
		return result;
	}
	return DISK_OK;
}

/* Wait for the request that is under way. There is none any more when this returns, but with DISK_STALLED. *LATE: it
 * took too long. */
static enum disk_result end(struct nbd *nbd, void *data, bool *late)
{
	enum disk_result result = DISK_OK;
	int done;

	while (!(done = nbd_aio_command_completed(nbd->handle, (u64)nbd->cookie)) && result == DISK_OK)
		result = turn(nbd, &nbd->waited, PATIENCE);
	if (!done && result == DISK_STALLED)
		return result;
	if (!done) {
		*late = nbd->waited >= PATIENCE;
		hang_up(nbd);
		return DISK_ERROR;
	}
	result = done < 0 ? failed(nbd) : DISK_OK;
	nbd->said &= result != DISK_OK;
	if (result == DISK_OK && nbd->op == READ && data)
		memcpy(data, nbd->bytes, nbd->len);
	if (result == DISK_OK && nbd->op == WRITE)
		nbd->unflushed = true;
	if (result == DISK_OK && nbd->op == FLUSH)
		nbd->unflushed = false;
	if (nbd->op == FLUSH && result != DISK_OK) {
		nbd->lost = true;
		result = DISK_ERROR;
	}
	forget(nbd);
	if (nbd_aio_is_dead(nbd->handle) || nbd_aio_is_closed(nbd->handle))
		hang_up(nbd);
	return result;
}

static bool is_under_way(const struct nbd *nbd, enum op op, u64 offset, const void *data, size_t len)
{
	return nbd->op == op && nbd->offset == offset && nbd->len == len &&
	       (op != WRITE || !memcmp(data, nbd->bytes, len));
}

static enum disk_result request(struct nbd *nbd, enum op op, u64 offset, void *data, size_t len)
{
	enum disk_result result;
	bool called, late;

	if (nbd->op && !is_under_way(nbd, op, offset, data, len) && end(nbd, NULL, &late) == DISK_STALLED)
		return DISK_STALLED;
	do {
		called = !nbd->handle;
		late = false;
		result = called ? call_again(nbd) : DISK_OK;
		if (op == FLUSH && nbd->lost)
			return store_failed(nbd->store.error, DISK_ERROR,
					    "nbd:%s: cannot flush: the server was gone or failed", nbd->uri);
		if (op == FLUSH && result == DISK_OK && nbd_can_flush(nbd->handle) != 1)
			return DISK_OK;
		if (result == DISK_OK && !nbd->op)
			result = start(nbd, op, offset, data, len);
		if (result == DISK_OK)
			result = end(nbd, data, &late);
	} while (result == DISK_ERROR && !nbd->handle && !called && !late);
	return result;
}

static enum disk_result nbd_store_read(struct store *store, u64 offset, void *out, size_t len)
{
	enum disk_result result = DISK_OK;
	u8 *to = out;

	for (size_t run; len && result == DISK_OK; to += run, offset += run, len -= run) {
		run = len < REQUEST_MAX ? len : REQUEST_MAX;
		result = request((struct nbd *)store, READ, store->start + offset, to, run);
	}
	return result;
}

static enum disk_result nbd_store_write(struct store *store, u64 offset, const void *in, size_t len)
{
	enum disk_result result = DISK_OK;
	const u8 *from = in;

	for (size_t run; len && result == DISK_OK; from += run, offset += run, len -= run) {
		run = len < REQUEST_MAX ? len : REQUEST_MAX;
		result = request((struct nbd *)store, WRITE, store->start + offset, (u8 *)from, run);
	}
	return result;
}

static enum disk_result nbd_store_flush(struct store *store)
{
	struct nbd *nbd = (struct nbd *)store;

	return nbd->unflushed || nbd->lost || nbd->op ? request(nbd, FLUSH, 0, NULL, 0) : DISK_OK;
}

static void nbd_store_free(struct store *store)
{
	struct nbd *nbd = (struct nbd *)store;
	u64 waited = 0;

	/* A goodbye, without waiting long for the answer. */
	if (nbd->handle && !nbd->op && nbd_aio_is_ready(nbd->handle) && !nbd_aio_disconnect(nbd->handle, 0))
		while (!nbd_aio_is_closed(nbd->handle) && !nbd_aio_is_dead(nbd->handle) &&
		       turn(nbd, &waited, HURRY) == DISK_OK)
			;
	nbd_close(nbd->handle);
	free(nbd->bytes);
	free(nbd);
}

static const struct store_ops nbd_ops = { nbd_store_read, nbd_store_write, nbd_store_flush, store_zero, nbd_store_free,
	NULL };

struct store *nbd_open(const char *uri, bool writable, const struct disk_host *host, char *error)
{
	struct nbd *nbd = calloc(1, sizeof *nbd + strlen(uri) + 1);

	if (!nbd) {
		store_failed(error, DISK_ERROR, "nbd:%s: the host has no memory for it", uri);
		return NULL;
	}
	strcpy(nbd->uri, uri);
	nbd->store.ops = &nbd_ops;
	nbd->store.error = error;
	nbd->host = host;
	nbd->writable = writable;
	if (call(nbd, PATIENCE) != DISK_OK) {
		nbd_store_free(&nbd->store);
		return NULL;
	}
	return &nbd->store;
}

#else

struct store *nbd_open(const char *uri, bool writable, const struct disk_host *host, char *error)
{
	(void)writable, (void)host;
	store_failed(error, DISK_ERROR, "nbd:%s: this program was built without libnbd", uri);
	return NULL;
}

#endif
