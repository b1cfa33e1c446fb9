/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop_mail.c - what threads send to a loop, the part that all loops share
 *
 * loop->mails is a stack. Any thread pushes: `next` of its mail is the head that it saw, and one
 * compare-and-swap makes it the head if that is still so. Only the loop takes, and it takes all,
 * with one exchange, so that no one ever compares with a head that was taken and came back. It
 * turns the chain around: what one sender posted first runs first.
 *
 * Only who found the stack empty wakes the loop. Whoever comes next finds that mail there, and so
 * its wake-up is still to come, or the loop has not yet looked. Once the loop has taken all, the
 * stack is empty, and the next one wakes it again.
 *
 * Memory order: a push releases, the taking acquires. All pushes between two takings are
 * read-modify-writes of one chain, so the taking sees what each of the senders wrote.
 */
#include "loop/loop.h"

void loop_post(struct loop *loop, struct loop_mail *mail)
{
	/* Acquires what loop_run_mail() released: `next` is not read anymore. */
	bool was_posted = atomic_exchange_explicit(&mail->is_posted, true, memory_order_acquire);
	assert(!was_posted);
	(void)was_posted;
	struct loop_mail *head = atomic_load_explicit(&loop->mails, memory_order_relaxed);
	do
		mail->next = head;
	while (!atomic_compare_exchange_weak_explicit(&loop->mails, &head, mail,
						      memory_order_release, memory_order_relaxed));
	/* From here on the mail may have run, and be gone. */
	if (head == NULL)
		loop->ops->have_mail(loop);
}

/* All there is, the oldest first. */
static struct loop_mail *take_all(struct loop *loop)
{
	if (!loop_has_mail(loop))
		return NULL; /* spares most turns the exchange */
	struct loop_mail *mail, *next, *oldest = NULL;
	mail = atomic_exchange_explicit(&loop->mails, NULL, memory_order_acquire);
	for (; mail != NULL; mail = next) {
		next = mail->next;
		mail->next = oldest;
		oldest = mail;
	}
	return oldest;
}

void loop_run_mail(struct loop *loop)
{
	struct loop_mail *mail = take_all(loop), *next;
	for (; mail != NULL; mail = next) {
		next = mail->next;
		atomic_store_explicit(&mail->is_posted, false, memory_order_release);
		mail->run(mail); /* may free it */
	}
}

void loop_drain(struct loop *loop)
{
	loop_assert_here(loop);
	assert(!loop->is_turning);
	while (loop_has_mail(loop) || loop_has_tasks(loop)) {
		loop_run_mail(loop);
		loop_run_tasks(loop);
	}
}
