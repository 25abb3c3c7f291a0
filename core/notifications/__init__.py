"""What people are told: at present the alarms for administrators."""
