"""Keys change hands as people change them: each command a process, drafts and keys in folders of their own."""

import shutil

from tests.system.conftest import last_line, write_medium


def test_site_follows_new_keys_and_refuses_what_the_old_one_signed(carried):
    carried.ferry("media", "verify", "medium")
    # Anna's key is made on her machine, and from then on it takes both of them
    fingerprint = last_line(carried.ferry("trust", "fingerprint", "--keys", "keys").out)
    draft = ("--draft", "2.root.draft.json")
    carried.ferry("trust", "rotate-key", "timestamp", "--keys", "keys", *draft)
    adding = ("trust", "add-key", "root", "--threshold", "2", "--keys", "anna", *draft)
    carried.ferry(*adding, expect=3)
    carried.ferry(*adding, "--fingerprint", fingerprint, FERRY_KEY_PASSPHRASE="anna's own words")
    shutil.copy(carried / "2.root.draft.json", carried / "for-anna.json")
    (anna,) = (carried / "anna").glob("root-*.pem")
    signing = ("trust", "sign", "for-anna.json", "--key", str(anna))
    carried.ferry(*signing, expect=7)  # not with the publisher's passphrase
    carried.ferry(*signing, expect=1, FERRY_KEY_PASSPHRASE="anna's own words")
    home = ("trust", "sign", "2.root.draft.json", "for-anna.json")
    assert "root 2 is in force" in carried.ferry(*home, "--key", "keys/root.pem").out
    shown = carried.ferry("trust", "show", "--keys", "keys", "--json").data
    assert [role["threshold"] for role in shown["roles"]] == [2, 1, 1, 1]

    write_medium(carried, "after")
    carried.ferry("media", "verify", "after")
    refused = carried.ferry("media", "verify", "medium", expect=3)
    assert "this site has seen root 2" in refused.err


def test_one_of_two_holders_puts_nothing_into_force(carried):
    several = ("--root-keys", "2", "--root-threshold", "2")
    carried.ferry("trust", "init", "--keys", "several", *several)
    carried.ferry("trust", "renew", "--keys", "several")
    key = str(next((carried / "several").glob("root-*.pem")))
    done = carried.ferry("trust", "sign", "several/2.root.draft.json", "--key", key, expect=1)
    assert "still to sign for root 1 and root 2: 1 of" in done.out
    assert not (carried / "several" / "2.root.json").exists()
