/* SPDX-License-Identifier: MIT */
/* Threads that share a counter under a mutex and meet at a barrier: atomic instructions and futexes. */
#include <pthread.h>
#include "programs.h"

enum { THREADS = 4, ROUNDS = 3000, ADDITIONS = 200 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static uint64_t total, atomic;

static void *work(void *arg)
{
	uint64_t own = *(const unsigned *)arg;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < ADDITIONS; i++) {
			pthread_mutex_lock(&mutex);
			total += own;
			pthread_mutex_unlock(&mutex);
			__atomic_fetch_add(&atomic, own, __ATOMIC_SEQ_CST);
		}
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

uint64_t run_threads(void)
{
	pthread_t threads[THREADS];
	unsigned numbers[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = 3 * i + 1;
		if (pthread_create(&threads[i], NULL, work, &numbers[i]))
			return 0;
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return total * 3 + atomic;
}
