/* Network block devices, through libnbd: whatever qemu-nbd or nbdkit can serve. Calls wait for the server's answer. */
#include <errno.h>
#include <stdlib.h>
#include "io/disk/store.h"

#if HAVE_LIBNBD
#include <libnbd.h>

#define REQUEST_MAX (32u << 20) /* every server takes that much at once */

struct nbd {
	struct store store;
	struct nbd_handle *handle;
};

static enum disk_result failed(struct store *store)
{
	int number = nbd_get_errno();

	return store_failed(store->error, number == ENOSPC || number == EDQUOT ? DISK_FULL : DISK_ERROR, "nbd: %s", nbd_get_error());
}

static enum disk_result nbd_store_read(struct store *store, u64 offset, void *out, size_t len)
{
	struct nbd *nbd = (struct nbd *)store;
	u8 *to = out;

	for (size_t run; len; to += run, offset += run, len -= run) {
		run = len < REQUEST_MAX ? len : REQUEST_MAX;
		if (nbd_pread(nbd->handle, to, run, store->start + offset, 0))
			return failed(store);
	}
	return DISK_OK;
}

static enum disk_result nbd_store_write(struct store *store, u64 offset, const void *in, size_t len)
{
	struct nbd *nbd = (struct nbd *)store;
	const u8 *from = in;

	for (size_t run; len; from += run, offset += run, len -= run) {
		run = len < REQUEST_MAX ? len : REQUEST_MAX;
		if (nbd_pwrite(nbd->handle, from, run, store->start + offset, 0))
			return failed(store);
	}
	return DISK_OK;
}

static enum disk_result nbd_store_flush(struct store *store)
{
	struct nbd *nbd = (struct nbd *)store;

	return nbd_can_flush(nbd->handle) == 1 && nbd_flush(nbd->handle, 0) ? failed(store) : DISK_OK;
}

static void nbd_store_free(struct store *store)
{
	struct nbd *nbd = (struct nbd *)store;

	if (nbd->handle) {
		nbd_shutdown(nbd->handle, 0);
		nbd_close(nbd->handle);
	}
	free(nbd);
}

static const struct store_ops nbd_ops = { nbd_store_read, nbd_store_write, nbd_store_flush, store_zero, nbd_store_free, NULL };

struct store *nbd_open(const char *uri, bool writable, char *error)
{
	struct nbd *nbd = calloc(1, sizeof *nbd);
	s64 size = -1;
	int done = -1;

	if (!nbd) {
		store_failed(error, DISK_ERROR, "nbd:%s: the host has no memory for it", uri);
		return NULL;
	}
	nbd->store.ops = &nbd_ops;
	nbd->store.error = error;
	nbd->handle = nbd_create();
	if (nbd->handle)
		done = strncmp(uri, "unix:", 5) ? nbd_connect_uri(nbd->handle, uri) : nbd_connect_unix(nbd->handle, uri + 5);
	if (!done)
		size = nbd_get_size(nbd->handle);
	if (size < 0) {
		store_failed(error, DISK_ERROR, "nbd:%s: %s", uri, nbd_get_error());
		nbd_store_free(&nbd->store);
		return NULL;
	}
	if (writable && nbd_is_read_only(nbd->handle) == 1) {
		store_failed(error, DISK_ERROR, "nbd:%s: the server lets nobody write; readonly, snapshot or overlay= would do", uri);
		nbd_store_free(&nbd->store);
		return NULL;
	}
	nbd->store.size = (u64)size;
	return &nbd->store;
}

#else

struct store *nbd_open(const char *uri, bool writable, char *error)
{
	(void)writable;
	store_failed(error, DISK_ERROR, "nbd:%s: this program was built without libnbd", uri);
	return NULL;
}

#endif
