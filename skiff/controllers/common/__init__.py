"""What several controllers need: facts about pods, ownership, expectations, hashes. No controller lives here."""
